"""Settlement: what the channels' files and the bank say, matched with what our books say."""
