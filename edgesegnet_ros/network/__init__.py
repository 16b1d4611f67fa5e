"""What is computed: EdgeSegNet, its inference form, its cost and its weights files."""
