"""Elem_ids of the WebUI's page that the preview's JavaScript and the presets use. The stand-alone page has the same ones."""

PROMPT, NEGATIVE_PROMPT = "img2img_prompt", "img2img_neg_prompt"
GALLERY, GENERATION_INFO = "img2img_gallery", "generation_info_img2img"
"""The gallery, and the text box with its images' infotexts."""

CANVAS = "img2maskimg"
"""The image to inpaint, with the paint on it."""

REQUEST = {
    "denoising_strength": "img2img_denoising_strength", "mask_blur": "img2img_mask_blur", "mask_mode": "img2img_mask_mode",
    "masked_content": "img2img_inpainting_fill", "inpaint_area": "img2img_inpaint_full_res",
    "masked_area_padding": "img2img_inpaint_full_res_padding", "sampler": "img2img_sampling",
    "schedule_type": "img2img_scheduler", "steps": "img2img_steps", "cfg_scale": "img2img_cfg_scale",
    "batch_count": "img2img_batch_count", "batch_size": "img2img_batch_size"}
"""Elem_ids by the names in `presets.REQUEST_FIELDS`."""

SIZES = WIDTH, HEIGHT = "img2img_width", "img2img_height"
SIZE_FROM_IMAGE = "img2img_detect_image_size_btn"
