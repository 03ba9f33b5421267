"""What really runs, on disk and in the engines, beside what should: looked at again and again, and told."""
