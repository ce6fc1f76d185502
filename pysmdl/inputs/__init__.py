"""Inputs: what is explained, one module a modality: its content, its tensors, how a person looks at it."""
