"""Transcribe: sound in, text out."""
