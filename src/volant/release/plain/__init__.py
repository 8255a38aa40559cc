"""A release without volant: what runs it in plain Python and in a browser, copied by `volant export`."""
