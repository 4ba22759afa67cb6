"""What users see. The only folder that knows Gradio."""
