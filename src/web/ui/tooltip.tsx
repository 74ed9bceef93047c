// One tooltip for the whole page: shows the `data-tip` of what the pointer rests on or the keyboard has reached, and describes
// that element to screen readers. Escape hides it, and so does pressing what it describes.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

interface Tip {
  readonly text: string;
  readonly x: number;
  readonly y: number;
  readonly below: boolean;
}

const tip = signal<Tip | undefined>(undefined);
const ID = "tooltip";
const DELAY = 450;
const WIDTH = 280;

export function Tooltip() {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let owner: Element | undefined;
    const hide = () => {
      clearTimeout(timer);
      owner?.removeAttribute("aria-describedby");
      owner = undefined;
      tip.value = undefined;
    };
    const show = (target: EventTarget | null, delay: number) => {
      const element = target instanceof Element ? target.closest("[data-tip]") : null;
      if (element === owner) return;
      hide();
      const text = element?.getAttribute("data-tip");
      if (!element || text === null || text === undefined || text === "") return;
      owner = element;
      timer = setTimeout(() => {
        if (!element.isConnected) return;
        const box = element.getBoundingClientRect();
        const below = box.top < 120;
        const x = Math.min(innerWidth - WIDTH / 2 - 8, Math.max(WIDTH / 2 + 8, box.left + box.width / 2));
        tip.value = { text, x, y: below ? box.bottom + 8 : box.top - 8, below };
        element.setAttribute("aria-describedby", ID);
      }, delay);
    };
    const over = (e: PointerEvent) => e.pointerType === "mouse" && show(e.target, DELAY);
    const focus = (e: FocusEvent) => {
      if (e.target instanceof Element && e.target.matches(":focus-visible")) show(e.target, DELAY);
    };
    const key = (e: KeyboardEvent) => {
      if (!["Escape", "Enter", " "].includes(e.key)) return;
      if (e.key === "Escape" && tip.value) e.preventDefault(); // it is not meant for anything else
      hide();
    };
    document.addEventListener("pointerover", over);
    document.addEventListener("pointerdown", hide);
    document.addEventListener("focusin", focus);
    document.addEventListener("focusout", hide);
    document.addEventListener("keydown", key);
    document.addEventListener("scroll", hide, { capture: true, passive: true });
    addEventListener("resize", hide);
    return () => {
      hide();
      document.removeEventListener("pointerover", over);
      document.removeEventListener("pointerdown", hide);
      document.removeEventListener("focusin", focus);
      document.removeEventListener("focusout", hide);
      document.removeEventListener("keydown", key);
      document.removeEventListener("scroll", hide, { capture: true });
      removeEventListener("resize", hide);
    };
  }, []);
  const t = tip.value;
  return (
    <div
      id={ID}
      role="tooltip"
      class={`tooltip${t?.below ? " below" : ""}`}
      hidden={!t}
      style={t && { left: `${t.x}px`, top: `${t.y}px` }}
    >
      {t?.text}
    </div>
  );
}
