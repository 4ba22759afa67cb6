"""Test extension: the built-in under another title, nested runs, injected faults, and Reload UI on request."""
import gc
import os
import threading
import time
from copy import copy

import torch
from modules import paths, processing, script_callbacks, script_loading, scripts, sd_samplers_common, shared
from PIL import Image, ImageChops

builtin_path = os.path.join(paths.script_path, "extensions-builtin", "soft-inpainting", "scripts", "soft_inpainting.py")
builtin = script_loading.load_module(builtin_path)


class Builtin(builtin.Script):
    def title(self):
        return "Built-in soft inpainting"

    def ui(self, is_img2img):
        components = super().ui(is_img2img)
        self.infotext_fields = None  # its integer defaults make the host answer 500 to a pasted 0.2
        return components


class Nested(scripts.Script):
    """Runs the host again within a run on copies of `p` with the same scripts, as detailers do."""

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
    """Runs one `p` twice and changes its mask in place in between, as Ultimate SD Upscale does."""

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
    """Makes one method of this run's job fail."""

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
            from lib_softinpaint.generation.job import SoftInpaintJob
            from lib_softinpaint.generation.sampled import SampledImage
            from lib_softinpaint.hosts.webui import hooks
            owner = next(owner for owner in (hooks, SoftInpaintJob, SampledImage) if hasattr(owner, method))
            self.undo = owner, method, getattr(owner, method)

            def fail(*args, **kwargs):
                raise RuntimeError("injected")
            setattr(owner, method, fail)

    def postprocess(self, p, processed, method):
        if self.undo is not None:
            setattr(*self.undo)
            self.undo = None


class Broken(scripts.Script):
    """Makes the host itself fail while it samples one batch."""

    def title(self):
        return "Broken sampler"

    def show(self, is_img2img):
        return scripts.AlwaysVisible if is_img2img else False

    def ui(self, is_img2img):
        import gradio as gr
        return [gr.Number(0, label="Batch that fails, from 1")]

    def process_batch(self, p, number, *args, **kwargs):
        def fail(*args, **kwargs):
            raise RuntimeError("broken by the tests")
        if number and kwargs["batch_number"] == int(number) - 1:
            p.sample = fail


class Refusing(scripts.Script):
    """Makes one field of this run's `p` read-only, after it was set a number of times."""

    def title(self):
        return "Refusing field"

    def show(self, is_img2img):
        return scripts.AlwaysVisible if is_img2img else False

    def ui(self, is_img2img):
        import gradio as gr
        return [gr.Textbox("", label="Field"), gr.Number(0, label="Times that it may be set")]

    def before_process(self, p, name, times):
        if not name or times is None:
            return
        left = int(times)

        def refuse(owner, value):
            nonlocal left
            if left <= 0:
                raise AttributeError(f"{name} has no setter")
            left -= 1
            vars(owner)[name] = value
        p.__class__ = type("Refusing", (type(p),), {name: property(lambda owner: vars(owner)[name], refuse)})

    def postprocess(self, p, processed, name, times):
        if name:
            Witness.fields = {field: getattr(p, field) for field in ("mask_blur_x", "mask_round", "inpaint_full_res_padding")}


class LowMemory(scripts.Script):
    """Shows live previews as with --medvram, where the host decodes the preview within the call, and counts them."""

    def title(self):
        return "Low memory"

    def show(self, is_img2img):
        return scripts.AlwaysVisible if is_img2img else False

    def ui(self, is_img2img):
        import gradio as gr
        return [gr.Checkbox(False, label="Low memory")]

    def process(self, p, enabled):
        if not enabled:
            return
        previews = {"show_progress_every_n_steps": 1, "live_previews_enable": True}
        self.usual = shared.parallel_processing_allowed, {name: getattr(shared.opts, name) for name in previews}
        shared.parallel_processing_allowed = False
        shared.opts.data.update(previews)
        self.shown, assign = 0, shared.state.assign_current_image

        def counted(image):
            self.shown += 1
            assign(image)
        shared.state.assign_current_image = counted

    def postprocess(self, p, processed, enabled):
        if not enabled:
            return
        del shared.state.assign_current_image
        shared.parallel_processing_allowed, previews = self.usual
        shared.opts.data.update(previews)
        processed.infotexts[0] += f", Previews: {self.shown}"


class NotANumber(scripts.Script):
    """Makes the decoder give NaN for a share of its rows, from the bottom. The host only checks the first value."""

    def title(self):
        return "NaN"

    def show(self, is_img2img):
        return scripts.AlwaysVisible if is_img2img else False

    def ui(self, is_img2img):
        import gradio as gr
        return [gr.Number(0, label="Share of the rows"), gr.Number(1, label="Times that it is asked")]

    def process(self, p, share, times=1):
        if not share:
            return
        decode = processing.decode_first_stage
        left = int(times or 1)

        def broken(model, latent):
            nonlocal left
            left -= 1
            if left == 0:
                processing.decode_first_stage = decode
            decoded = decode(model, latent)
            decoded[..., round((1 - share) * decoded.shape[-2]):, :] = float("nan")
            return decoded
        processing.decode_first_stage = broken


class Surroundings:
    """The noise at mask 0 in each model call of the last soft run."""

    calls = []
    """For each call: largest distance from the first noise, mean, standard deviation and count."""
    predicted_apart = 0.0
    """Largest distance at mask 1 between the prediction for the noise floor and the combined prediction."""
    first = noisy = None

    @classmethod
    def before(cls, params):
        from lib_softinpaint.hosts.webui.run import sampling_of
        from lib_softinpaint.method import schedule
        sampling = sampling_of(params.denoiser.p)
        if sampling is None:
            return
        if params.denoiser.step == 0:
            cls.calls, cls.predicted_apart, cls.first = [], 0.0, None
        original = sampling.job.reference.double()
        if params.x.shape[-2:] != original.shape[-2:]:  # some samplers call the model at other sizes
            return
        noisy, level = params.x[:len(original)].double(), params.sigma[:len(original)].double().view(-1, 1, 1, 1)
        signal, deviation = 1, level
        if params.denoiser.mask_before_denoising:
            alpha_bar = schedule.alpha_bar_at(level.flatten(), params.denoiser.inner_model.inner_model.alphas_cumprod)
            signal, deviation = (part.double().view(-1, 1, 1, 1) for part in (alpha_bar.sqrt(), (1 - alpha_bar).sqrt()))
        cls.noisy = noisy, signal, deviation
        noise = ((noisy - signal * original) / deviation)[(sampling.job.repaint == 0).expand_as(original)]
        cls.job = sampling.job
        if len(noise) == 0:  # the mask covers everything
            return
        cls.first = noise if cls.first is None else cls.first
        cls.calls.append([(noise - cls.first).abs().max().item(), noise.mean().item(), noise.std().item(), len(noise)])

    @classmethod
    def after(cls, params):
        noisy, cls.noisy = cls.noisy, None
        if noisy is None or not isinstance(noisy[1], type(noisy[0])):
            return
        job = cls.job
        if job.predicted is None:  # a fault was injected
            return
        combined = (noisy[0] - noisy[2] * params.x.double()) / noisy[1]
        apart = (job.predicted.double() - combined)[(job.repaint == 1).expand_as(combined)]
        if len(apart):
            cls.predicted_apart = max(cls.predicted_apart, apart.abs().max().item())


class Composites:
    """Counts concurrent composites."""

    now = most = 0
    lock = threading.Lock()


def count_composites():
    from lib_softinpaint.generation.kept import KeptImage
    composited = KeptImage.composited

    def counted(image, *args, **kwargs):
        with Composites.lock:
            Composites.now += 1
            Composites.most = max(Composites.most, Composites.now)
        try:
            time.sleep(0.02)
            return composited(image, *args, **kwargs)
        finally:
            with Composites.lock:
                Composites.now -= 1
    KeptImage.composited = counted


class Stopwatch:
    """Seconds that the extension takes since the last query: at model calls, and in all other hooks."""

    at_calls = other = 0.0
    calls = 0
    running = False

    @classmethod
    def timed(cls, hook, at_call):
        def timing(*args, **kwargs):
            if cls.running:
                return hook(*args, **kwargs)
            cls.running, start = True, time.perf_counter()
            try:
                return hook(*args, **kwargs)
            finally:
                seconds, cls.running = time.perf_counter() - start, False
                cls.at_calls += at_call * seconds
                cls.other += (not at_call) * seconds
        return timing

    @classmethod
    def count_calls(cls, params):
        cls.calls += 1


HOOKS = ("process", "process_batch", "on_mask_blend", "post_sample", "postprocess_batch_list", "postprocess_maskoverlay",
         "postprocess_image_after_composite", "postprocess")
CALLBACKS = "callbacks_cfg_denoiser", "callbacks_cfg_after_cfg"


def time_hooks():
    """The final call of on_mask_blend, after sampling, counts as one at a model call."""
    for script in scripts.scripts_img2img.alwayson_scripts:
        if script.title() == "Soft Inpainting":
            for hook in HOOKS:
                setattr(script, hook, Stopwatch.timed(getattr(script, hook), hook == "on_mask_blend"))
    for name in CALLBACKS:
        entries = script_callbacks.callback_map.get(name, [])
        for index, entry in enumerate(entries):
            if "sd-webui-softinpaint" in entry.script:
                timed = Stopwatch.timed(entry.callback, True)
                if hasattr(entry, "_replace"):
                    entries[index] = entry._replace(callback=timed)
                else:
                    entry.callback = timed
    script_callbacks.on_cfg_denoiser(Stopwatch.count_calls)


class Witness(scripts.Script):
    """Keeps values that the API does not return."""

    comments = ""
    encodes = 0
    fields = None

    def title(self):
        return "Witness"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def before_process(self, p):
        Witness.encodes = 0

    def postprocess(self, p, processed):
        Witness.comments = processed.comments


def count_encodes():
    """Counts the extension's encodes only, because the host's `init` has imported the function itself."""
    encode = sd_samplers_common.images_tensor_to_samples

    def counted(images, *args, **kwargs):
        Witness.encodes += len(images)
        return encode(images, *args, **kwargs)
    sd_samplers_common.images_tensor_to_samples = counted


def seed_encoding():
    """Seeds the noise that the encoder draws. All hosts but reForge draw it before they set the seed."""
    init = processing.StableDiffusionProcessingImg2Img.init

    def seeded(*args, **kwargs):
        torch.manual_seed(0)
        return init(*args, **kwargs)
    processing.StableDiffusionProcessingImg2Img.init = seeded


seed_encoding()


def add_routes(demo, app):
    from lib_softinpaint.hosts.webui.run import region_of, runs
    count_encodes()
    count_composites()
    time_hooks()

    @app.post("/companion/reload")
    def reload_ui():
        shared.state.request_restart()

    @app.get("/companion/runs")
    def runs_in_progress():
        gc.collect()
        return len(runs) + len(region_of)

    @app.get("/companion/witness")
    def witness():
        return {"comments": Witness.comments, "encodes": Witness.encodes, "fields": Witness.fields}

    @app.get("/companion/surroundings")
    def surroundings():
        return {"calls": Surroundings.calls, "predicted_apart": Surroundings.predicted_apart}

    @app.get("/companion/composites")
    def most_composites_at_once():
        most, Composites.most = Composites.most, 0
        return most

    @app.get("/companion/stopwatch")
    def seconds():
        taken = {"at_calls": Stopwatch.at_calls, "other": Stopwatch.other, "calls": Stopwatch.calls}
        Stopwatch.at_calls = Stopwatch.other = Stopwatch.calls = 0
        return taken

    @app.get("/companion/loaded")
    def scripts_loaded():
        return [[entry.path, entry.script_class.__name__] for entry in scripts.scripts_data]


script_callbacks.on_app_started(add_routes)
script_callbacks.on_cfg_denoiser(Surroundings.before)
if hasattr(script_callbacks, "on_cfg_after_cfg"):  # one test removes it
    script_callbacks.on_cfg_after_cfg(Surroundings.after)
