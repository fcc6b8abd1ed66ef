"""How weights are learned: data, schedule, what trains, and the seam to what computes gradients."""
