using SparseExperts;
using SparseExperts.Conformance;
using SparseExperts.Cpu;

// One lane: all cards' edges, large cases and samples on this process's instruction set. Prints the level, then for every card the hash of all output bits.
// That one lane's bits are the definition's is held elsewhere.
var samples = args.Length > 0 ? int.Parse(args[0]) : 20;
using var subject = new Subject(threads => new CpuBackend(threads), canonical: true);
Console.WriteLine(CpuBackend.SimdLevel);
foreach (var card in OpCards.All)
{
    var hash = 14695981039346656037UL;
    foreach (var drawn in card.Edges.Concat(card.Large).Concat(Enumerable.Range(0, samples).Select(seed => card.Sample(new Random(seed), 40))))
        foreach (var values in OpRunner.Run(subject[2], card, drawn).Values.Values)
            foreach (var value in values) hash = (hash ^ (double.IsNaN(value) ? 1 : BitConverter.DoubleToUInt64Bits(value))) * 1099511628211;
    Console.WriteLine($"{card.Name}: {hash:x16}");
}
