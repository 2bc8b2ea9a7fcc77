"""Tables shipped with metrology; every row of them names its source."""
