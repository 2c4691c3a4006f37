"""What the processes hold while a model stalls under load, and whether everything comes back."""
