"""Many simulations: a grid of points, a store that survives being killed, processes to run them on."""
