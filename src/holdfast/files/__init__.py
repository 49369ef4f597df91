"""Files of Holdfast: tensors and a JSON document in one file, written atomically and verified when read."""
