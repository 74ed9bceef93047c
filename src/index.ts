// Kineograph's platform-neutral API: everything here takes a GPUDevice or an adapter and runs in Node, Deno and browsers.
// What needs Node (Dawn, files) is in "kineograph/node".

// Device and tensors
export { Device, type Recording } from "./gpu/device.js";
export { openDevice } from "./gpu/open.js";
export type { Elsewhere } from "./gpu/forerunners.js";
export { deviceDescriptor, TYPICAL, type Capabilities } from "./gpu/limits.js";
export { DeviceLostError, GPUValidationError, OutOfMemoryError } from "./gpu/errors.js";
export type { Lifetime } from "./gpu/arena.js";
export type { Arena, BufferPool, MemoryUse, PoolBuffer } from "./gpu/pool.js";
export type { ProfileBatch, ProfileEntry, Profiler } from "./gpu/profiler.js";
export type { Choices, Trial, Tuning, TuningCache } from "./gpu/tuning.js";
export type { Scoped } from "./gpu/scope.js";
export type { Binding, Copy, Counts, Dispatch, Download, Replay, Upload, Work } from "./gpu/work.js";
export { Tensor } from "./tensor/tensor.js";
export type { DType } from "./tensor/dtype.js";
export type { Shape } from "./tensor/shape.js";
export { TorchGenerator } from "./tensor/torch-generator.js";

// Operations
export { attention, temporalAttention, type AttentionOptions, type Columns } from "../kernels/attention.js";
export { conv2d, packConv2d, type Conv2dOptions, type PackedConv2d } from "../kernels/conv2d.js";
export type { ConvForm } from "../kernels/winograd.js";
export { activate, add, cast, type Activation } from "../kernels/elementwise.js";
export { embedding } from "../kernels/embedding.js";
export { groupNorm, type GroupNormOptions } from "../kernels/group-norm.js";
export { layerNorm, type LayerNormOptions } from "../kernels/layer-norm.js";
export { linear, packLinear, type LinearOptions, type PackedLinear } from "../kernels/linear.js";
export { linearCombination } from "../kernels/linear-combination.js";
export { matmul } from "../kernels/matmul.js";
export { fuseFrames, type FrameRun } from "../kernels/fuse-frames.js";
export { recallTuning, storageTuningCache, tune, type Timer, type Tuned, type TuneOptions } from "../kernels/tune.js";
export { timestepEmbedding, type TimestepEmbeddingOptions } from "../kernels/timestep-embedding.js";
export { toPixels } from "../kernels/pixels.js";

// Models
export { CLIPTokenizer, type CLIPTokenizerFiles, type EncodeOptions, type Encoding } from "./models/clip/tokenizer.js";
export type { AddedToken, TokenizerConfig } from "./models/clip/special-tokens.js";
export { CLIPTextModel, parseCLIPTextConfig, type CLIPTextConfig, type TokenVector } from "./models/clip/text-model.js";
export { UNetMotionModel, type UNetInputs } from "./models/unet/unet.js";
export type { Addition, UNetAdditions } from "./models/unet/additions.js";
export type { AttentionAddition, AttentionAdditions } from "./nn/attention.js";
export type { ControlMaps, ControlNetModel } from "./models/controlnet/controlnet.js";
export type { ControlNetConfig } from "./models/controlnet/config.js";
export type { FeatureAdapter, FeatureAdapterConfig } from "./models/adapters/feature-adapter.js";
export type { T2IAdapterConfig, T2IAdapterModel } from "./models/adapters/t2i-adapter.js";
export type { CLIPVisionConfig, CLIPVisionModel } from "./models/clip/vision-model.js";
export type { TextRun } from "./pipelines/text-cache.js";
export type { TextExtras } from "./pipelines/record-text.js";
export { preprocess, PREPROCESSORS, type Preprocessor, type PreprocessorName } from "./io/preprocess.js";
export { coverCrop, crop, resize, type Box, type Filter } from "./io/resample.js";
export { loadControl, type LoadControlOptions } from "./pipelines/control/network.js";
export type { ControlInputs } from "./pipelines/control/conditions.js";
export type { Course } from "./pipelines/course.js";
export type { ImagePromptOptions } from "./pipelines/control/image-prompt.js";
export { loadIPAdapter, type IPAdapter, type LoadIPAdapterOptions } from "./pipelines/control/ip-adapter.js";
export type { ImageInputs } from "./pipelines/control/image.js";
export { parseMotionConfig, parseUNetConfig, type MotionConfig, type UNetConfig } from "./models/unet/config.js";
export type { Clip } from "./models/unet/motion.js";
export type { PreparedText, TextKeyValues } from "./nn/attention.js";
export { AutoencoderKL, type Decoder, type Encoder } from "./models/vae/vae.js";
export { parseVAEConfig, type VAEConfig } from "./models/vae/config.js";
export {
  Weights,
  WeightStore,
  type LoadProgress,
  type Pack,
  type Parameter,
  type Patch,
  type Storage,
  type WeightSource,
} from "./nn/weights.js";

// Samplers
export * from "./schedulers/index.js";
export type { DDIMOptions } from "./schedulers/ddim.js";
export type { DPMSolverOptions } from "./schedulers/dpm-solver.js";
export type { SigmaOptions } from "./schedulers/euler.js";
export type { LCMOptions } from "./schedulers/lcm.js";
export type { PNDMOptions } from "./schedulers/pndm.js";
export type { TCDOptions } from "./schedulers/tcd.js";
export type { UniPCOptions } from "./schedulers/unipc.js";

// Pipelines
export {
  AnimateDiffPipeline,
  type Frames,
  type FramesEvent,
  type GenerationEvent,
  type PipelineParts,
  type StepEvent,
  type WindowEvent,
} from "./pipelines/animatediff.js";
export type { Condition } from "./pipelines/condition.js";
export type { Conditioning, Denoiser, DenoiserOptions, TextConditioning } from "./pipelines/denoiser.js";
export type { Window, WindowSchedule } from "./pipelines/windows.js";
export type { LatentSlots } from "./pipelines/latents.js";
export type { FreeInitFilter } from "./pipelines/free-init.js";
export type { LongOptions } from "./pipelines/long.js";
export type { GenerateOptions, ModelLimits, Settings } from "./pipelines/options.js";
export { planConversion, type Conversion } from "./pipelines/convert.js";
export type { ConvertedFile, ConvertOptions, Naming } from "./pipelines/convert-parts.js";
export type { DTypeChoice } from "./pipelines/convert-tensors.js";
export { decodeRunState, encodeRunState, ResumeError, type RunState } from "./pipelines/run-state.js";
export {
  loadPipeline,
  type LoadedPipeline,
  type LoadOptions,
  type LoadStage,
  type ModelInfo,
} from "./pipelines/load.js";
export type { EmbeddingInfo, EmbeddingSource } from "./pipelines/embeddings.js";
export type { LoraInfo, LoraSource } from "./pipelines/loras.js";
export type { LoraStack, SwapOptions } from "./pipelines/swap-loras.js";
export type { Emphasis } from "../kernels/emphasis.js";
export { parsePrompt, type PromptPart } from "./pipelines/prompt-syntax.js";
export {
  chunkPrompt,
  type ChunkedPrompt,
  type PromptChunk,
  type PromptEmbedding,
  type PromptTokenizer,
} from "./pipelines/prompt-chunks.js";
export { chunksOf, encodePrompt, tokenizePrompt, type PromptParts, type PromptStyle } from "./pipelines/prompt.js";
export type { ModelSources } from "./pipelines/model-files.js";
export type { AttentionMap } from "./pipelines/attention-maps.js";
export {
  modelLimits,
  planPipeline,
  type Plan,
  type PlannedControl,
  type PlannedModel,
  type PlanOptions,
  type StagePlan,
} from "./pipelines/plan.js";
export { tunePipeline } from "./pipelines/tune.js";
export type { ModelStorage } from "./pipelines/build.js";
export type { Rectangle, RegionInputs, RegionOptions } from "./pipelines/control/regions.js";
export type { ControlOptions } from "./pipelines/control/options.js";
export type { ControlNetwork } from "./pipelines/control/network.js";
export type { ImageEncoder } from "./pipelines/control/image.js";
export { generateRecovering, type RecoveryOptions, type Reopened } from "./pipelines/recovery.js";

// Files
export { blobSource, fetchSource, memorySource, type ByteSource, type FetchOptions } from "./io/byte-source.js";
export { CheckpointError } from "./io/errors.js";
export { fileListFolder, memoryFolder, subfolder, urlFolder, type Folder } from "./io/folder.js";
export {
  openSafetensors,
  Safetensors,
  streamSafetensors,
  writeSafetensors,
  type TensorChunk,
  type TensorInfo,
  type TensorToWrite,
} from "./io/safetensors.js";
export {
  openWeights,
  openWeightsFolder,
  type VariantOptions,
  type WeightEntry,
  type WeightFile,
} from "./io/weight-files.js";
export { identify, identifyFolder, type CheckpointKind, type Identity } from "./io/names/identify.js";
export { embeddingTensor, readEmbedding, type Embedding, type EmbeddingTensor } from "./io/names/embedding.js";
export { loraDelta } from "./io/names/lora-delta.js";
export {
  readLora,
  type Difference,
  type Hadamard,
  type Kronecker,
  type Lora,
  type LoraModule,
  type LoraSpelling,
  type LowRank,
} from "./io/names/lora.js";
export { readMotion, type MotionFile } from "./io/names/motion.js";
export type { LoraTarget } from "./io/names/modules.js";
export { joinSingleFile, splitSingleFile, type SingleFile, type SingleFileEntry } from "./io/names/single-file.js";

// Pictures
export { encodeApng, type AnimationOptions } from "./io/apng.js";
export { PictureError } from "./io/errors.js";
export type { Picture } from "./io/frames.js";
export { encodeGif, type Dither, type GifOptions } from "./io/gif.js";
export { encodePng } from "./io/png.js";
export { decodePng } from "./io/png-reader.js";
export {
  clipSource,
  sampleVideo,
  type SampledVideo,
  type SampleOptions,
  type TimedPicture,
  type VideoInfo,
  type VideoSource,
} from "./io/video.js";
export { readRecipe, recipeTexts, recipeToCommand, type Recipe, type RecipeValue } from "./io/recipe.js";
export { version } from "./version.js";
