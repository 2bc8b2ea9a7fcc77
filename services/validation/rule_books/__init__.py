"""Rule books that are delivered, and examples of others."""
