/** The plan executor and the errors of configurations. */
import { describe, expect, it } from "vitest";
import {
  applyPlan,
  DPMSolverMultistepScheduler,
  makeScheduler,
  parseSchedulerConfig,
  schedulerNameOf,
  type SchedulerName,
  type StepPlan,
} from "../../src/schedulers/index.js";
import { combine, makePlan } from "../../src/schedulers/plan.js";

const slotsOf = (slots: Record<string, readonly number[]>): Map<string, Float32Array> =>
  new Map(Object.entries(slots).map(([slot, values]) => [slot, Float32Array.from(values)]));

describe("applyPlan", () => {
  it("assigns in order, reading before it writes", () => {
    const slots = slotsOf({ sample: [1, 2], output: [10, 20] });
    const plan = makePlan([
      {
        to: "x0",
        from: [
          ["sample", 2],
          ["output", -1],
        ],
      },
      {
        to: "sample",
        from: [
          ["sample", 0.5],
          ["x0", 1],
          ["noise", 3],
        ],
      },
      { to: "m1", from: [] },
    ]);
    expect(plan.drawsNoise).toBe(true);
    applyPlan(plan, slots, Float32Array.of(1, -1));
    expect([...slots.get("x0")!]).toEqual([-8, -16]);
    expect([...slots.get("sample")!]).toEqual([-4.5, -18]);
    expect([...slots.get("m1")!]).toEqual([0, 0]);
  });

  it("names what is missing or misshapen", () => {
    const plan: StepPlan = makePlan([{ to: "sample", from: [["m2", 1]] }]);
    expect(() => applyPlan(plan, slotsOf({ sample: [1] }))).toThrow(/reads "m2", which holds nothing/);
    expect(() => applyPlan(plan, slotsOf({ sample: [1], m2: [1, 2] }))).toThrow(/"m2" has 2 elements .* has 1/);
    expect(() => applyPlan(makePlan([{ to: "x0", from: [["noise", 1]] }]), slotsOf({ sample: [1] }))).toThrow(
      /"noise"/,
    );
  });

  it("merges terms, and refuses coefficients that are not finite", () => {
    expect(
      combine([
        [
          ["sample", 1],
          ["output", 2],
        ],
        2,
      ]),
    ).toEqual([
      ["sample", 2],
      ["output", 4],
    ]);
    expect(combine([[["sample", 1]], 1], [[["sample", 2]], -0.5])).toEqual([]);
    expect(() => makePlan([{ to: "x0", from: [["sample", Infinity]] }])).toThrow(/v_prediction/);
  });
});

describe("makeScheduler refuses", () => {
  const config = { beta_schedule: "linear", beta_start: 0.00085, beta_end: 0.012 };
  it.each([
    [{ ...config, thresholding: true }, /thresholding = true is not supported; set it to false/],
    [{ ...config, clip_sample: true }, /clip_sample = true is not supported/],
    [{ ...config, beta_schedule: "sigmoid" }, /beta_schedule = "sigmoid" .* "linear", "scaled_linear"/],
    [{ ...config, prediction_type: "flow_prediction" }, /prediction_type = "flow_prediction"/],
    [{ ...config, timestep_spacing: "even" }, /timestep_spacing = "even"/],
    [{ ...config, num_train_timesteps: 0 }, /num_train_timesteps = 0 must be a whole number/],
    [{ ...config, steps_offset: 0.5 }, /steps_offset = 0.5/],
    [{ ...config, trained_betas: [0.1] }, /trained_betas .* 1000 numbers/],
  ])("%o", (bad, message) => {
    expect(() => makeScheduler("ddim", bad, 4)).toThrow(message);
  });

  it("impossible steps, strengths and options", () => {
    expect(() => makeScheduler("lcm", config, 60)).toThrow(
      "steps 60 is above LCM's training grid of 50; use --original-steps 60 or more, or fewer steps.",
    );
    expect(() => makeScheduler("ddim", config, 1001)).toThrow(/steps 1001 is above the 1000 timesteps/);
    expect(() => makeScheduler("ddim", config, 0)).toThrow(/at least 1, got 0/);
    expect(() => makeScheduler("lcm", config, 4, { strength: 0.2 })).toThrow(
      /leaves no step to run; use at least 5 steps/,
    );
    expect(() => makeScheduler("lcm", config, 4, { strength: 1.5 })).toThrow(/not in \(0, 1\]/);
    expect(() => makeScheduler("ddim", config, 4, { eta: 2 })).toThrow(/eta 2/);
    expect(() => makeScheduler("lcm", config, 4).plan(4)).toThrow(/steps 0 to 3 in this run, not 4/);
    const zeroSnr = { ...config, rescale_betas_zero_snr: true };
    expect(() => makeScheduler("lcm", zeroSnr, 4).plan(0)).toThrow(/no finite step.*v_prediction/);
  });

  it("options that mean nothing, unknown names and other noise schedules", () => {
    expect(() => makeScheduler("euler", config, 4, { originalInferenceSteps: 100 })).toThrow(/mean nothing to euler/);
    expect(() => makeScheduler("lcm", config, 4, { eta: 0.5 })).toThrow(/eta means nothing to lcm/);
    expect(() => makeScheduler("ddpm" as SchedulerName, config, 4)).toThrow(
      /no scheduler "ddpm"; use one of lcm, ddim/,
    );
    const flow = { ...config, _class_name: "FlowMatchEulerDiscreteScheduler" };
    expect(() => makeScheduler("euler", flow, 4)).toThrow(/FlowMatchEulerDiscreteScheduler/);
    expect(() => makeScheduler("euler", { ...config, use_beta_sigmas: true }, 4)).toThrow(/use_beta_sigmas/);
    expect(() => makeScheduler("euler-a", { ...config, prediction_type: "sample" }, 4)).toThrow(/"epsilon"/);
    expect(() => makeScheduler("unipc", { ...config, solver_order: 4 }, 4)).toThrow(/solver_order = 4 .* 1 to 3/);
    expect(() => makeScheduler("pndm", { ...config, skip_prk_steps: false }, 3)).toThrow(/at least 4 steps, got 3/);
    expect(() => new DPMSolverMultistepScheduler({ algorithm_type: "dpmsolver" }, 4)).toThrow(/set it to "sigma_min"/);
    expect(() => makeScheduler("unipc", { ...config, lower_order_final: false, solver_order: 3 }, 5).plan(4)).toThrow(
      /lower_order_final/,
    );
  });
});

describe("scheduler_config.json", () => {
  it("says which sampler it asks for", () => {
    expect(schedulerNameOf({ _class_name: "LCMScheduler" })).toBe("lcm");
    expect(schedulerNameOf({ _class_name: "PNDMScheduler" })).toBe("pndm");
    expect(schedulerNameOf({ _class_name: "DPMSolverMultistepScheduler" })).toBe("dpm++");
    expect(schedulerNameOf({ _class_name: "DPMSolverMultistepScheduler", algorithm_type: "dpmsolver" })).toBe("dpm");
    expect(() => schedulerNameOf({ _class_name: "DDPMScheduler" })).toThrow(/DDPMScheduler, which is not implemented/);
    expect(() => schedulerNameOf({})).toThrow(/no class/);
  });

  it("is read as Python writes it, infinities included", () => {
    const text = '{"_class_name": "X Infinity", "lambda_min_clipped": -Infinity, "a": NaN, "steps_offset": 1}';
    expect(parseSchedulerConfig(text)).toEqual({
      _class_name: "X Infinity",
      lambda_min_clipped: -Infinity,
      a: null,
      steps_offset: 1,
    });
    expect(() => parseSchedulerConfig("[1]")).toThrow(/one object/);
  });
});
