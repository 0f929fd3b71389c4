"""Helpers of scripts/train_demo_text.py: the demo text checkpoint, trained from scratch."""
