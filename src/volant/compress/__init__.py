"""Making releases smaller and quicker: always measured, never assumed."""
