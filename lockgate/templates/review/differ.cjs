// Reads [{stack, base, head}] on standard input and prints, for each, what the CDK's own differ says of the two
// templates. The differ is found from the folder it is run in, the project's.
'use strict';
const fs = require('node:fs');

const { fullDiff } = require(require.resolve('@aws-cdk/cloudformation-diff', { paths: [process.cwd()] }));

function changes(collection) {
  const found = [];
  collection.forEachDifference((id, change) => found.push({ id, base: change.oldValue, head: change.newValue }));
  return found;
}

function compare({ stack, base, head }) {
  const diff = fullDiff(base, head);
  const resources = [];
  diff.resources.forEachDifference((id, change) => {
    const properties = change.isAddition || change.isRemoval ? {} : change.propertyUpdates;
    resources.push({
      id,
      type: change.newResourceType ?? change.oldResourceType,
      impact: change.changeImpact,
      properties: Object.fromEntries(Object.entries(properties).map(([name, of]) => [name, of.changeImpact])),
      base: change.oldValue ?? null,
      head: change.newValue ?? null,
    });
  });
  return {
    stack,
    resources,
    parameters: changes(diff.parameters),
    iam: diff.iamChanges._toJson(),
    network: diff.securityGroupChanges.toJson(),
  };
}

const pairs = JSON.parse(fs.readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(pairs.map(compare)));
