// JavaScript time of one network evaluation at full size (Stable Diffusion 1.5 with AnimateLCM, 16 frames of 512×512), on
// Dawn's null backend, which runs everything of the host and nothing of the device. Weights are made up of nothing.
//   node scripts/host-time.mjs [evaluations]        add --cpu-prof to see where the time goes
import { performance } from "node:perf_hooks";
import { Device } from "../dist/src/gpu/device.js";
import { deviceDescriptor } from "../dist/src/gpu/limits.js";
import { nodeGPU } from "../dist/src/node-device.js";
import { buildModels, SD15_ANIMATELCM } from "../dist/src/pipelines/build.js";
import { Tensor } from "../dist/src/tensor/tensor.js";

const evaluations = Number(process.argv[2] ?? 20);
const gpu = await nodeGPU(["backend=null"]);
const adapter = await gpu.requestAdapter();
const raw = await adapter.requestDevice(deviceDescriptor(adapter));
// The backend has 512 MiB of memory: what nobody reads need not be there.
const [LEAST, create, bind] = [2 ** 18, raw.createBuffer.bind(raw), raw.createBindGroup.bind(raw)];
const sizes = new Map();
raw.createBuffer = (d) => {
  const size = d.usage & 0x80 ? Math.min(d.size, LEAST) : d.size; // GPUBufferUsage.STORAGE
  const buffer = create({ ...d, size });
  sizes.set(buffer, size);
  return buffer;
};
raw.createBindGroup = (d) => {
  const clamp = (e) => ({
    ...e,
    resource: { ...e.resource, offset: 0, size: Math.min(e.resource.size, sizes.get(e.resource.buffer)) },
  });
  return bind({ ...d, entries: d.entries.map(clamp) });
};
const device = Device.from(raw, { kind: "gpu" });
const dtype = device.capabilities.f16 ? "f16" : "f32";
const { unet, stores } = buildModels(device, SD15_ANIMATELCM, { storage: { weights: dtype } });
stores.unet.pretend();
await device.drain();

const x = Tensor.empty(device, [16, 64, 64, 4], dtype, "latents");
const text = device.hold(() => unet.prepareText(Tensor.empty(device, [1, 77, 768], dtype, "text"))).result;
const time = Tensor.empty(device, [1, 1280], dtype, "time");
const first = performance.now();
const { recording } = device.record(() => unet.forward(x, { time, text, clip: { frames: 16, norm: "joint" } }));
await device.drain();
console.log(
  `recorded in ${(performance.now() - first).toFixed(0)} ms, ${recording.work.length} commands, ${device.pipelineCount} pipelines`,
);

// The loop's active time: what is spent waiting for the device, by design (src/gpu/pace.ts), is no work of JavaScript.
const times = [];
for (let i = 0; i < evaluations; i++) {
  const begin = performance.eventLoopUtilization();
  device.replay(recording);
  await device.drain();
  times.push(performance.eventLoopUtilization(begin).active);
}
times.sort((a, b) => a - b);
console.log(
  `replayed: median ${times[times.length >> 1].toFixed(2)} ms of JavaScript, best ${times[0].toFixed(2)}, worst ${times.at(-1).toFixed(2)} of ${evaluations}`,
);
process.exit(0);
