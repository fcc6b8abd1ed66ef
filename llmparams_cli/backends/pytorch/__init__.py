"""Training with PyTorch: what lies behind `training.trainer` where its libraries are installed."""
