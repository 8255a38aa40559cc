"""The data checks: one module each, run before anything is trained, installed like any other plugin."""
