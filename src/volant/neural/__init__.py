"""The one training loop of every torch model, and the layers they share. Imported only where torch is used."""
