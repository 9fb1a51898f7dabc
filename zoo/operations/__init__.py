"""What makes the weights of a network of those of others."""
