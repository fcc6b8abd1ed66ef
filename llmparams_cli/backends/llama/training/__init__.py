"""Training by llama.cpp's gradients: the trainer, and the trial of a model before it."""
