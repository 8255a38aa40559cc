"""One short module per stage. The only place that composes the rest; everything above calls these."""
