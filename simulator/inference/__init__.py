"""Real tensors through a network with a MAC's numerics, beside a float reference."""
