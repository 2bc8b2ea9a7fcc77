"""A small city for the demo: who lives there, what goes wrong, and the people who act."""
