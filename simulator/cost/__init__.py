"""What a run costs: price tables, MACs composed from parts, energy and area, checks against print."""
