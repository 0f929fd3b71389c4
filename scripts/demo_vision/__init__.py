"""The demo vision checkpoint: glyphs from Debian's font packages and a small ViT."""
