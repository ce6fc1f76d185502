"""Models: how a network is called, whatever form it comes in."""
