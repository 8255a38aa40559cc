"""From a trained pipeline to a release: export, manifest, card, gate."""
