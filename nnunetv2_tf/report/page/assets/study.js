"use strict";
const study = document.querySelector("#study").dataset, reader = document.querySelector("#reader");
const questions = [...document.querySelectorAll(".case")];
const store = () => `reader study ${study.study} ${reader.value}`;

function answers() {
  const found = {};
  for (const question of questions) {
    const chosen = question.querySelector("input[type=radio]:checked");
    if (chosen) found[question.id] = { answer: chosen.value, confidence: Number(question.querySelector("select").value) };
  }
  return found;
}

function remember() {
  const found = answers();
  document.querySelector("#progress").textContent = `${Object.keys(found).length} of ${questions.length} answered`;
  try { localStorage.setItem(store(), JSON.stringify(found)); } catch { /* private windows keep nothing */ }
}

function recall() {
  let kept = null;
  try { kept = JSON.parse(localStorage.getItem(store())); } catch { /* nothing is kept */ }
  for (const [name, given] of Object.entries(kept || {})) {
    const question = document.getElementById(name);
    if (!question) continue;
    question.querySelector(`input[value=${given.answer}]`).checked = true;
    question.querySelector("select").value = given.confidence;
  }
  remember();
}

function result() {
  return JSON.stringify({ ...study, reader: reader.value, answers: answers() }, null, 2);
}

document.querySelector("#save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([result()], { type: "application/json" }));
  link.download = `answers_${study.set}_fold_${study.fold}_${reader.value.replace(/\W+/g, "_") || "reader"}.json`;
  link.click();
});
reader.addEventListener("change", recall);
document.addEventListener("change", (event) => { if (event.target !== reader) remember(); });
remember();
