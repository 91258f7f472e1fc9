"""What needs torch: networks of units that gradients train."""
