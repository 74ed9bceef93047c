// What an adapter offers, in the few numbers that the rest of the engine asks for.

/** Limits and features that decide how kernels are sliced and which variants are chosen. */
export interface Capabilities {
  /** Largest range one storage binding may cover, in bytes (128 MiB on many devices). */
  readonly maxBinding: number;
  /** Largest buffer, in bytes. */
  readonly maxBuffer: number;
  /** Workgroups per dimension of one dispatch. */
  readonly maxWorkgroups: number;
  readonly maxInvocations: number;
  readonly workgroupMemory: number;
  readonly storageBuffers: number;
  /** Alignment of binding offsets, in bytes. */
  readonly alignment: number;
  /** `shader-f16`: WGSL can store and compute f16. Without it weights may still be f16 in memory. */
  readonly f16: boolean;
  readonly subgroups: boolean;
  /** Lanes of a subgroup where the adapter fixes the number, else 0. */
  readonly subgroupSize: number;
  readonly timestamps: boolean;
  /** `chromium-experimental-subgroup-matrix` with 16 × 16 × 16 products of f16 summed up in f32: tensor cores. */
  readonly subgroupMatrix: boolean;
  /** A software adapter (llvmpipe, SwiftShader, WARP) wants other kernels than a GPU. */
  readonly kind: "cpu" | "gpu";
  /** "llvmpipe (LLVM 15.0.6, 256 bits)", … */
  readonly name: string;
  /** What tells this adapter with its driver and features from others: figures measured on one hold for no other. */
  readonly identity: string;
}

/** Features the engine can use; requested where the adapter has them. */
export const WANTED_FEATURES = ["shader-f16", "subgroups", "timestamp-query", "chromium-experimental-subgroup-matrix"];

/** Limits requested at the adapter's own value. */
const WANTED_LIMITS = [
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupsPerDimension",
  "maxStorageBuffersPerShaderStage",
] as const;

/**
 * The descriptor with which to request a device from `adapter`: every useful feature that it has, and its own limits or
 * ("minimum") those that WebGPU guarantees on every adapter.
 */
export function deviceDescriptor(adapter: GPUAdapter, limits: "adapter" | "minimum" = "adapter"): GPUDeviceDescriptor {
  const descriptor = {
    label: "kineograph",
    requiredFeatures: WANTED_FEATURES.filter((f) => adapter.features.has(f)) as GPUFeatureName[],
  };
  if (limits === "minimum") return descriptor;
  return { ...descriptor, requiredLimits: Object.fromEntries(WANTED_LIMITS.map((l) => [l, adapter.limits[l]])) };
}

const SOFTWARE = /llvmpipe|lavapipe|swiftshader|software|basic render|warp/i;

/** Whether an adapter runs on the CPU. */
export function isSoftware(info: GPUAdapterInfo): boolean {
  return (
    SOFTWARE.test(`${info.vendor} ${info.architecture} ${info.device} ${info.description}`) ||
    info.isFallbackAdapter === true
  );
}

/** Whether an adapter multiplies 16 × 16 × 16 blocks of f16 with f32 sums (its experimental list of matrix sizes). */
function hasMatrix16(info: GPUAdapterInfo): boolean {
  interface MatrixSize {
    readonly M: number;
    readonly N: number;
    readonly K: number;
    readonly componentType: string;
    readonly resultComponentType: string;
  }
  const { subgroupMatrixConfigs = [] } = info as { subgroupMatrixConfigs?: Iterable<MatrixSize> };
  return [...subgroupMatrixConfigs].some(
    (c) => c.M === 16 && c.N === 16 && c.K === 16 && c.componentType === "f16" && c.resultComponentType === "f32",
  );
}

/** Adapter, driver and enabled features in words. */
function identityOf({ adapterInfo: i, features }: GPUDevice): string {
  const wanted = WANTED_FEATURES.filter((f) => features.has(f));
  return [i.vendor, i.architecture, i.device, i.description, ...wanted].join("; ");
}

/** Reads a device's capabilities. `force` lowers limits or hides features, for tests and for reproducing other machines. */
export function capabilitiesOf(
  gpu: GPUDevice,
  force: Partial<Capabilities> = {},
  info: GPUAdapterInfo = gpu.adapterInfo,
): Capabilities {
  const { limits, features } = gpu;
  const name =
    [info.description, info.device, info.architecture, info.vendor].find((s) => s !== "") ?? "unknown adapter";
  const { subgroupMinSize: min = 0, subgroupMaxSize: max = 0 } = info as {
    subgroupMinSize?: number;
    subgroupMaxSize?: number;
  };
  return {
    maxBinding: limits.maxStorageBufferBindingSize,
    maxBuffer: limits.maxBufferSize,
    maxWorkgroups: limits.maxComputeWorkgroupsPerDimension,
    maxInvocations: limits.maxComputeInvocationsPerWorkgroup,
    workgroupMemory: limits.maxComputeWorkgroupStorageSize,
    storageBuffers: limits.maxStorageBuffersPerShaderStage,
    alignment: Math.max(limits.minStorageBufferOffsetAlignment, limits.minUniformBufferOffsetAlignment),
    f16: features.has("shader-f16"),
    subgroups: features.has("subgroups"),
    subgroupSize: min === max ? min : 0,
    timestamps: features.has("timestamp-query"),
    subgroupMatrix: features.has("chromium-experimental-subgroup-matrix" as GPUFeatureName) && hasMatrix16(info),
    kind: isSoftware(info) ? "cpu" : "gpu",
    name,
    identity: identityOf(gpu),
    ...force,
  };
}

/** A device that many laptops and phones have; what a dry run assumes where no adapter is at hand. */
export const TYPICAL: Capabilities = {
  maxBinding: 2 ** 27,
  maxBuffer: 2 ** 31,
  maxWorkgroups: 65535,
  maxInvocations: 256,
  workgroupMemory: 32768,
  storageBuffers: 10,
  alignment: 256,
  f16: true,
  subgroups: true,
  subgroupSize: 32,
  timestamps: false,
  subgroupMatrix: false,
  kind: "gpu",
  name: "typical GPU (dry run)",
  identity: "typical GPU (dry run)",
};
