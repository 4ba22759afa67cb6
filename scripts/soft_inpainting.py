"""The always-on script "Soft Inpainting": every hook is one line into the library."""
from modules import scripts

from lib_softinpaint.hosts import webui_start

webui, webui_page, register = webui_start.current()

@register
class SoftInpainting(scripts.Script):
    def show(self, is_img2img):
        return webui_page.show(self, is_img2img)

    def ui(self, is_img2img):
        return webui_page.build_ui(self)

    def process(self, p, *args):
        webui.process(p, args)

    def process_batch(self, p, *args, **kwargs):
        webui.process_batch(p)

    def on_mask_blend(self, p, mba, *args):
        webui.on_mask_blend(p, mba)

    def post_sample(self, p, ps, *args):
        webui.post_sample(p, ps)

    def postprocess_batch_list(self, p, pp, *args, **kwargs):
        webui.postprocess_batch_list(p, pp)

    def postprocess_maskoverlay(self, p, ppmo, *args):
        webui.postprocess_maskoverlay(p, ppmo)

    def postprocess_image_after_composite(self, p, pp, *args):
        webui.postprocess_image_after_composite(p, pp)

    def postprocess(self, p, processed, *args):
        webui.postprocess(p, processed)
