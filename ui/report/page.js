"use strict";
(function () {
  var data = document.getElementById("report").textContent;
  var button = document.getElementById("download");
  button.hidden = false;
  button.addEventListener("click", function () {
    var link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([data], { type: "application/json" }));
    var report = JSON.parse(data);
    link.download = (report.solution || "comparison") + (report.run ? "-" + report.run : "") + ".json";
    link.click();
    URL.revokeObjectURL(link.href);
  });
  // A report on paper shows everything.
  addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (d) { d.open = true; });
  });
})();
