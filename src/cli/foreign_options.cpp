#include "cli/foreign_options.h"

#include <algorithm>
#include <array>

#include "sampling/names.h"

namespace fourstep {

namespace {

/// Flags separated by ';', without dashes in front.
struct ForeignOption {
  std::string_view flags, sentence;
};

constexpr auto kForeignOptions = std::to_array<ForeignOption>({
    {"strength;denoising-strength;denoise;i;init-img;init-image;mask;img2img;image;r;ref-image",
     "generate starts from noise; pictures to start from (img2img, inpainting) are not supported "
     "yet"},
    {"hires;hires-fix;enable-hr;hires-width;hires-height;hr-scale",
     "a second pass at a larger size is --hires-scale 1.5, with --hires-steps and "
     "--hires-denoise"},
    {"upscale-model;upscale-repeats", "upscaling networks are not supported yet"},
    {"control-net;controlnet;control-image;control-strength;control-video;canny",
     "ControlNet is not supported yet"},
    {"ip-adapter;ip-adapter-image;ip-adapter-strength;photo-maker;pm-id-images-dir;pulid-weights",
     "IP-Adapter, PhotoMaker and PuLID are not supported"},
    {"ad-model;ad-prompt;adetailer", "a detailer for faces and hands is not supported yet"},
    {"video-frames;fps;flow-shift;motion-module;end-img",
     "videos and flow-matching models are not supported; this program draws with SDXL and SD 1.5"},
    {"t5xxl;llm;guidance;qwen2vl;clip-vision",
     "FLUX, SD 3 and their text encoders are not supported; this program draws with SDXL and SD "
     "1.5"},
    {"batch-size;n-iter",
     "--batch N samples N images of one prompt at once; --images (--batch-count) is their number, "
     "several "
     "seeds are --seeds 1,2,3"},
    {"rng;sampler-rng", "the noise is chosen by --noise: torch is sd.cpp's cpu, nv its cuda"},
    {"type;weight-type;wtype;dtype;fp16;half;no-half",
     "the precision of the networks is --precision fp32, bf16 or fp16"},
    {"upcast-sampling;precision-full;no-half-vae;vae-fp16",
     "the precision of the VAE is --vae-precision fp32, bf16 or fp16"},
    {"vae-tiling;vae-tile-size;tiled-vae",
     "--vae-tile SIZE decodes in tiles of SIZE pixels, for instance --vae-tile 512"},
    {"clip-on-cpu;vae-on-cpu;control-net-cpu;offload-to-cpu;backend;params-backend;use-cpu;cpu;"
     "gpu;cuda",
     "the device of all networks is --device cpu, cuda or cuda:N"},
    {"fa;diffusion-fa;xformers;opt-sdp-attention;flash-attention;mmap;diffusion-conv-direct",
     "attention, convolutions and file mapping are always the fast ones; leave it out"},
    {"lowvram;medvram;medvram-sdxl;max-vram;stream-layers",
     "to save memory use --precision fp16 or bf16, --vae-tile, or a smaller size"},
    {"M;mode", "txt2img is the command generate; fourstep --help lists the others"},
    {"v;verbose;log-level",
     "notices are always printed; --quiet turns them off, --json prints all "
     "settings"},
    {"color;preview;preview-path;preview-method", "previews are not supported yet"},
    {"disable-image-metadata;no-metadata;metadata",
     "the settings are always written into the image"},
    {"style;styles;preset", "styles are not supported; write their words into the prompt"},
    {"tiling;circular;circularx;circulary", "tileable pictures are not supported"},
    {"refiner;refiner-switch-at", "the SDXL refiner is not supported"},
    {"hypernetwork;hypernetwork-dir", "hypernetworks are not supported"},
    {"slg-layers-start;skip-layer-start;skip-layer-end",
     "where a guidance method acts is --guidance-intervals slg:START:END"},
    {"cache-mode;easycache;deepcache", "caches between steps are not supported"},
    {"prompt-file;negative-prompt-file",
     "a prompt that stands in a file is written -p \"$(cat FILE)\""},
    {"subseed;subseed-strength",
     "noise of a second seed is --variation-seed and --variation-strength"},
    {"seed-resize-from-w;seed-resize-from-h", "write --seed-width and --seed-height"},
    {"save-images;outdir;outpath;output-dir;output-path",
     "--out FOLDER/ names the folder, --out FILE.png the file"},
    {"port;listen;api;share;autolaunch;server", "there is no server yet; generate draws at once"},
});

}  // namespace

std::string explain_foreign_option(std::string_view flag) {
  const std::string wanted = plain_name(flag);
  for (const ForeignOption& row : kForeignOptions) {
    for (const std::string_view known : names_in(row.flags)) {
      // Letters keep their case: -M and -m differ.
      const bool is_letter = known.size() == 1;
      const bool is_same = is_letter ? flag.substr(flag.find_first_not_of('-')) == known
                                     : plain_name(known) == wanted;
      if (is_same) return std::string(row.sentence);
    }
  }
  return "";
}

}  // namespace fourstep
