// What axe finds of the colors of texts of this page that are not among the known ones. A text's color and size, and whatever lies
// behind it, decide its contrast: the first text of each is looked at. In one turn, since pages replace their parts.
(known) => {
  const behind = new Map();
  const lies = (e) => {
    if (!e) return "";
    if (!behind.has(e)) {
      const { backgroundColor, backgroundImage, opacity, position } = getComputedStyle(e);
      const is = backgroundColor === "rgba(0, 0, 0, 0)" && backgroundImage === "none" && opacity === "1" && !/absolute|fixed|sticky/.test(position);
      behind.set(e, lies(e.parentElement) + (is ? "" : `/${backgroundColor} ${backgroundImage} ${opacity} ${position}`));
    }
    return behind.get(e);
  };
  const isText = (e) => e.matches("input, select, textarea") || [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  const colors = new Set(known), unseen = new Map();
  for (const e of document.querySelectorAll("body *")) {
    if (!isText(e) || !e.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    const { color, fontSize, fontWeight, textShadow } = getComputedStyle(e);
    const key = `${color} ${fontSize} ${fontWeight} ${textShadow} ${lies(e)}`;
    if (!colors.has(key) && !unseen.has(key)) unseen.set(key, e);
  }
  if (!unseen.size) return { colors: [], violations: [] };
  return axe
    .run({ include: [...unseen.values()] }, { resultTypes: ["violations"], runOnly: ["color-contrast"] })
    .then(({ violations }) => ({ colors: [...unseen.keys()], violations }));
}
