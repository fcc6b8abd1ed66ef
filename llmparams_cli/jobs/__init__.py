"""What commands share: work without printing."""
