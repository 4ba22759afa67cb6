"""The always-on script "Soft Inpainting": every hook is one line into the library."""
from modules import scripts

from lib_softinpaint.hosts.webui import start

hooks, page, register = start.current()
@register
class SoftInpainting(scripts.Script):
    def show(self, is_img2img):
        return page.show(self, is_img2img)

    def ui(self, is_img2img):
        return page.build_ui(self)

    def process(self, p, *args):
        hooks.process(p, args)

    def before_process_batch(self, p, *args, **kwargs):
        hooks.before_process_batch(p)

    def process_batch(self, p, *args, **kwargs):
        hooks.process_batch(p)

    def on_mask_blend(self, p, mba, *args):
        hooks.on_mask_blend(p, mba)

    def post_sample(self, p, ps, *args):
        hooks.post_sample(p, ps)

    def postprocess_batch_list(self, p, pp, *args, **kwargs):
        hooks.postprocess_batch_list(p, pp)

    def postprocess_maskoverlay(self, p, ppmo, *args):
        hooks.postprocess_maskoverlay(p, ppmo)

    def postprocess_image_after_composite(self, p, pp, *args):
        hooks.postprocess_image_after_composite(p, pp)

    def postprocess(self, p, processed, *args):
        hooks.postprocess(p, processed)
