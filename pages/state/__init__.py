"""Plain data behind the pages. Nothing in here imports Streamlit."""
