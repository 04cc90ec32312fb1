"""What a trained model is worth: its answers on a split, and the figures that follow from them."""
