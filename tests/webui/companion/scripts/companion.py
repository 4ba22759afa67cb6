"""Test extension: the built-in under another title, nested runs, injected faults, and Reload UI on request."""
import gc
import os
from copy import copy

from modules import paths, processing, script_callbacks, script_loading, scripts, sd_samplers_common, shared
from PIL import Image, ImageChops

builtin_path = os.path.join(paths.script_path, "extensions-builtin", "soft-inpainting", "scripts", "soft_inpainting.py")
builtin = script_loading.load_module(builtin_path)


class Builtin(builtin.Script):
    def title(self):
        return "Built-in soft inpainting"

    def ui(self, is_img2img):
        components = super().ui(is_img2img)
        self.infotext_fields = None  # its whole-number defaults make the host answer 500 to a pasted 0.2
        return components


class Nested(scripts.Script):
    """Runs the host again within a run, as detailers do, on copies of `p` and with the same scripts."""

    def title(self):
        return "Nested runs"

    def show(self, is_img2img):
        return scripts.AlwaysVisible if is_img2img else False

    def ui(self, is_img2img):
        import gradio as gr
        return [gr.Checkbox(False, label="Nested runs")]

    def postprocess_image(self, p, pp, enabled):
        if not enabled or getattr(p, "is_inner", False):
            return
        inner = processing.StableDiffusionProcessingImg2Img(
            sd_model=p.sd_model, init_images=[pp.image], prompt=p.prompt, seed=5, steps=4, width=192, height=192,
            sampler_name=p.sampler_name, denoising_strength=0.6, mask_blur=4, inpainting_fill=1, inpaint_full_res=True,
            inpaint_full_res_padding=16, do_not_save_samples=True, do_not_save_grid=True)
        inner.is_inner = True
        inner.scripts, inner.script_args = copy(p.scripts), copy(p.script_args)
        mask = Image.new("L", pp.image.size)
        mask.paste(255, (8, 8, 40, 40))
        inner.image_mask = mask
        inner = copy(inner)
        pp.image = processing.process_images(inner).images[0]
        dummy = processing.Processed(p, [], 0, "")
        p.scripts.postprocess(copy(p), dummy)
        outer_copy = copy(p)
        p.scripts.before_process(outer_copy)
        p.scripts.process(outer_copy)


class MaskedInPlace(scripts.Script):
    """Runs one `p` twice and changes its mask in place between, as Ultimate SD Upscale does."""

    def title(self):
        return "Mask changed in place"

    def run(self, p, *args):
        first = processing.process_images(p)
        p.image_mask.paste(ImageChops.offset(p.image_mask, p.image_mask.width // 3, 0))
        second = processing.process_images(p)
        first.images += second.images
        first.infotexts += second.infotexts
        return first


class Faulty(scripts.Script):
    """Lets one method of this run's job fail."""

    def title(self):
        return "Injected fault"

    def show(self, is_img2img):
        return scripts.AlwaysVisible if is_img2img else False

    def ui(self, is_img2img):
        import gradio as gr
        return [gr.Textbox("", label="Method that fails")]

    undo = None

    def before_process(self, p, method):
        if method and self.undo is None:
            from lib_softinpaint.hosts import webui
            owner = next(owner for owner in (webui, webui.SoftInpaintJob, webui.SampledPicture) if hasattr(owner, method))
            self.undo = owner, method, getattr(owner, method)

            def fail(*args, **kwargs):
                raise RuntimeError("injected")
            setattr(owner, method, fail)

    def postprocess(self, p, processed, method):
        if self.undo is not None:
            setattr(*self.undo)
            self.undo = None


class Witness(scripts.Script):
    """Keeps what the API does not return."""

    comments = ""
    encodes = 0

    def title(self):
        return "Witness"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def before_process(self, p):
        Witness.encodes = 0

    def postprocess(self, p, processed):
        Witness.comments = processed.comments


def count_encodes():
    """Of the extension: the host's own `init` has imported the function itself."""
    encode = sd_samplers_common.images_tensor_to_samples

    def counted(images, *args, **kwargs):
        Witness.encodes += len(images)
        return encode(images, *args, **kwargs)
    sd_samplers_common.images_tensor_to_samples = counted


def add_routes(demo, app):
    from lib_softinpaint.hosts import webui
    count_encodes()

    @app.post("/companion/reload")
    def reload_ui():
        shared.state.request_restart()

    @app.get("/companion/runs")
    def runs_in_progress():
        gc.collect()
        return len(webui._runs)

    @app.get("/companion/witness")
    def witness():
        return {"comments": Witness.comments, "encodes": Witness.encodes}

    @app.get("/companion/loaded")
    def scripts_loaded():
        return [[entry.path, entry.script_class.__name__] for entry in scripts.scripts_data]


script_callbacks.on_app_started(add_routes)
