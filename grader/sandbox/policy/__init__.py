"""What a submission may write: checked on its text, before it runs."""
