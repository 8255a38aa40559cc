"""The nouns and the protocols of volant, the product file, plugins, ids and clocks."""
