"""The whole daemon, with real brokers, engines, recordings and databases."""
