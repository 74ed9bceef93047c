// The command line: verbs and their options. Each verb's work is a module of its own, loaded when it is called, so that
// `--help` answers at once.

import { Command, InvalidArgumentError, Option } from "commander";
import { version } from "../version.js";
import type { BenchArguments } from "./bench.js";
import type { ConvertArguments } from "./convert.js";
import { addCompareOptions, type CompareArguments } from "./options-compare.js";
import { addJobOptions, type JobArguments } from "./options-jobs.js";
import { addTuneOptions } from "./options-tune.js";
import { addRunOptions, type RunArguments } from "./options.js";

/** `kineograph` with its verbs; throws CommanderError, UsageError or what the verb throws. */
export function program(): Command {
  const main = new Command("kineograph")
    .description("A sentence becomes an animation: AnimateLCM on WebGPU.")
    .version(version)
    .exitOverride()
    .showHelpAfterError("(--help lists what there is)")
    .configureHelp({ showGlobalOptions: false })
    .helpCommand(false);

  const generate = main
    .command("generate")
    .summary("make an animation from a prompt")
    .description("Makes an animation from a prompt, or many from a file of prompts.");
  addTuneOptions(addJobOptions(addRunOptions(generate)).optionsGroup("Kernels:"), "on GPUs what was not measured yet")
    .argument("[prompt]", "what the clip shows")
    .addHelpText("after", EXAMPLES)
    .action(async (prompt: string | undefined, options: RunArguments & JobArguments) =>
      (await import("./generate.js")).generate(prompt, options),
    );

  main
    .command("inspect")
    .summary("say what a checkpoint is, or with which command a picture was made")
    .description(
      "Says what a checkpoint file or folder is; for a picture made by Kineograph prints the command that makes it again.\nRuns nothing that is in the file, and needs no GPU.",
    )
    .argument("<path>", "checkpoint file, model folder, or a clip made by Kineograph")
    .option("--json", "print one JSON object on stdout")
    .option("-v, --verbose", "list every tensor")
    .action(async (path: string, options: { json?: boolean; verbose?: boolean }) =>
      (await import("./inspect.js")).inspect(path, options),
    );

  main
    .command("convert")
    .summary("write a checkpoint in another form")
    .description(
      "Writes a checkpoint in another form, always as safetensors: a model between one file and a diffusers folder, motion modules between AnimateDiff's files and MotionAdapter folders, VAEs and LoRAs between their names, .ckpt, .pt and .bin to safetensors.\nA path that ends in .safetensors becomes a file, any other a folder in diffusers' layout. Nothing in the file is run; tensors stream, so memory stays small.",
    )
    .argument("<in>", "checkpoint file, model folder, or hf: name")
    .argument("<out>", "file that ends in .safetensors, or folder")
    .addOption(
      new Option("--dtype <f32|f16>", "type of the floating-point tensors (default: as stored)").choices([
        "f32",
        "f16",
      ]),
    )
    .addOption(
      new Option(
        "--names <diffusers|original|kohya>",
        "names in a file: original are LDM's and AnimateDiff's, kohya is for LoRAs (default: as they are; from folders original)",
      ).choices(["diffusers", "original", "kohya"]),
    )
    .option("--force", "replace what is there")
    .option("--json", "print one JSON object on stdout")
    .option("-q, --quiet", "no progress")
    .addHelpText("after", CONVERT_EXAMPLES)
    .action(async (from: string, to: string, options: ConvertArguments) =>
      (await import("./convert.js")).convert(from, to, options),
    );

  addRunOptions(
    main
      .command("plan")
      .summary("tell memory, arithmetic and dispatches of a run without running it")
      .description(
        "Tells what a run takes, without running it: takes the options of `generate`, so that a command can be planned by changing its verb.\n`--model sd15` plans Stable Diffusion 1.5 with AnimateLCM at their published sizes; no weights are read.",
      ),
  )
    .argument("[prompt]", "has no influence on a plan")
    .action(async (_prompt: string | undefined, options: RunArguments) => (await import("./plan.js")).plan(options));

  main
    .command("devices")
    .summary("list the adapters")
    .description("Lists the WebGPU adapters of this machine, what they offer and what is missing.")
    .option("--json", "print one JSON array on stdout")
    .action(async (options: { json?: boolean }) => (await import("./devices.js")).devices(options));

  const bench = main
    .command("bench")
    .summary("time the kernels at the model's real layer shapes")
    .description(
      "Times the kernels at the model's real layer shapes; each result is checked first. Prints GFLOPS, GB/s and the share of this adapter's measured peak.",
    )
    .argument("[name...]", "cases to run, * at the end for all that begin so (default: all; a wrong name lists them)")
    .addOption(new Option("--precision <f32|f16>", "(default: f16 where the adapter has it)").choices(["f32", "f16"]))
    .option(
      "--peers",
      "time onnxruntime's WebGPU provider, jax-js and tfjs beside, turn by turn, in f32 (installs them into a temporary folder), and PyTorch on the CPU where KINEOGRAPH_PYTHON names a Python that has it",
    )
    .option("--roofline", "profile every layer of the narrow UNet against the adapter's peaks")
    .option(
      "--chart <folder>",
      "with --peers or --roofline: keep the measurements there as JSON, beside those of other cases, and draw them (SVG)",
    )
    .option("--device <n|name>", "adapter, as listed by `kineograph devices` (default: the fastest)")
    .option("--json", "print JSON on stdout: an array; for --roofline an object")
    .option("-q, --quiet", "no progress")
    .action(async (names: string[], options: BenchArguments) => (await import("./bench.js")).bench(names, options));
  addTuneOptions(bench, "goes by what was measured before");

  addRunOptions(
    main
      .command("demo")
      .summary("animate something with the bundled model")
      .description("Makes an animation with the bundled model, as kineograph-demo.png and kineograph-demo.gif."),
  )
    .argument("[prompt]", "what the clip shows: a coloured shape that moves or changes its size somewhere")
    .action(async (prompt: string | undefined, options: RunArguments) =>
      (await import("./demo.js")).demo(prompt, options),
    );

  main
    .command("studio")
    .summary("serve the browser studio on this machine")
    .description(
      "Serves the browser studio on this machine alone and prints its address. Works offline: nothing leaves the machine,\n" +
        "unless you ask the page for a model of the Hugging Face Hub (HF_ENDPOINT names a mirror).",
    )
    .option("--port <n>", "port to listen on; 0 takes any that is free (default: 4780)", portNumber)
    .action(async (options: { port?: number }) => (await import("./studio.js")).studio(options));

  addCompareOptions(
    main
      .command("compare")
      .summary("one prompt by several samplers and numbers of steps, side by side")
      .description(
        "Makes the same clips by several samplers and numbers of steps, each on its right weights, and shows them side by side:\nan animation, a contact sheet, and a table of time, network calls and, for the bundled model, what is right in the clips.",
      )
      .addHelpText("after", COMPARE_EXAMPLES),
  ).action(async (prompt: string | undefined, options: CompareArguments) =>
    (await import("./compare.js")).compare(prompt, options),
  );

  return main;
}

function portNumber(text: string): number {
  const n = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(n <= 65535)) throw new InvalidArgumentError("Expected a port from 0 to 65535.");
  return n;
}

const CONVERT_EXAMPLES = `
Examples:
  kineograph convert realistic.ckpt realistic.safetensors --dtype f16
  kineograph convert realistic.safetensors realistic          a diffusers folder
  kineograph convert realistic realistic.safetensors          and back
  kineograph convert AnimateLCM_sd15_t2v.ckpt animatelcm      a MotionAdapter
  kineograph convert style.safetensors style-kohya.safetensors --names kohya`;

const EXAMPLES = `
Examples:
  kineograph generate "a red star moving left on a night sky"
  kineograph generate "a blue heart growing at sunset" --seed 7 -o heart.gif
  kineograph inspect heart.gif        prints the command that makes it again`;

const COMPARE_EXAMPLES = `
Examples:
  kineograph compare "a red star moving left on a night sky"                              DDIM, DPM-Solver, DPM-Solver++ and AnimateLCM at 4 steps
  kineograph compare "a red star moving left on a night sky" --schedulers lcm --steps 2,4,8,12
  kineograph compare --prompts prompts.txt --schedulers lcm,ddim --steps 2,4,8 --json`;
