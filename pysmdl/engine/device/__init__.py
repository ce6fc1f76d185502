"""The way through the model: tensors, memory, streams. Knows batches, no search."""
