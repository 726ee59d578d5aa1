"use strict";
const root = document.documentElement, cases = [...document.querySelectorAll(".case")];

function show(article, slice) {
  const slider = article.querySelector("input[type=range]");
  if (!slider) return;
  const wanted = Math.min(Math.max(slice, 0), Number(slider.max)), number = Number(slider.max) + 1;
  slider.value = wanted;
  article.querySelector("output").textContent = `${wanted + 1} of ${number}`;
  for (const image of article.querySelectorAll(".frame img")) image.style.transform = `translateY(${-100 * wanted / number}%)`;
}

function move(article, by) {
  const slider = article.querySelector("input[type=range]");
  if (slider) show(article, Number(slider.value) + by);
}

function toggleLabels() {
  const button = document.querySelector("#labels");
  if (!button) return;
  const on = document.body.classList.toggle("labels");
  button.setAttribute("aria-pressed", on);
}

function nowDark() {
  return (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
}

function toggleTheme() { root.dataset.theme = nowDark() ? "light" : "dark"; }

function go(by) {
  const at = cases.indexOf(document.activeElement.closest(".case"));
  const next = cases[Math.min(Math.max(at + by, 0), cases.length - 1)];
  if (next) { next.focus(); next.scrollIntoView({ block: "nearest" }); }
}

for (const article of cases) {
  const slider = article.querySelector("input[type=range]");
  if (slider) slider.addEventListener("input", () => show(article, Number(slider.value)));
  article.querySelector(".stages").addEventListener("wheel", (event) => {
    if (event.shiftKey) { event.preventDefault(); move(article, Math.sign(event.deltaY || event.deltaX)); }
  }, { passive: false });
  show(article, slider ? Number(slider.value) : 0);
}
document.querySelector("#labels")?.addEventListener("click", toggleLabels);
document.querySelector("#theme").addEventListener("click", toggleTheme);
document.addEventListener("keydown", (event) => {
  const writes = event.target.matches("textarea, select, input:not([type=range])");
  if (writes || event.ctrlKey || event.altKey || event.metaKey) return;
  const article = document.activeElement.closest(".case"), onSlider = event.target.type === "range";
  if (event.key === "l") toggleLabels();
  else if (event.key === "d") toggleTheme();
  else if (event.key === "n") go(1);
  else if (event.key === "p") go(-1);
  else if (article && !onSlider && event.key === "ArrowRight") move(article, 1);
  else if (article && !onSlider && event.key === "ArrowLeft") move(article, -1);
  else return;
  event.preventDefault();
});
