using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SparseExperts.Peers;

/// <summary>
/// <c>bench/peers/switch_lm.py</c> on the libtorch that TorchSharp brings: the same model, recipe and output line.
/// <c>SwitchLm TEXT --steps N --threads N</c>.
/// </summary>
static class Program
{
    const int Width = 64, Layers = 3, Experts = 16, Batch = 16, Length = 128, Heads = Width / 16;
    const double Capacity = 1.5, Rate = 3e-3, Balance = 0.01;

    static int Main(string[] arguments)
    {
        if (arguments is not [var path, "--steps", var stepsText, "--threads", var threadsText])
        {
            Console.Error.WriteLine("usage: SwitchLm TEXT --steps N --threads N");
            return 2;
        }
        var (steps, threads) = (int.Parse(stepsText, CultureInfo.InvariantCulture), int.Parse(threadsText, CultureInfo.InvariantCulture));
        set_num_threads(threads);
        random.manual_seed(0);
        var bytes = File.ReadAllBytes(path);
        var train = bytes[..(int)(bytes.Length * 0.95)];
        var model = new LanguageModel();
        var optimizer = optim.AdamW(model.parameters(), lr: Rate, beta1: 0.9, beta2: 0.98, weight_decay: 0.01);
        var draw = new Random(0);
        var (clock, updating) = (new Stopwatch(), new Stopwatch());
        var last = 0f;
        const int warmUp = 20;
        for (var step = 1; step <= warmUp + steps; step++)
        {
            if (step == warmUp + 1) clock.Start();
            using var scope = NewDisposeScope();
            foreach (var group in optimizer.ParamGroups) group.LearningRate = Rate * Math.Min(1, step / 200.0);
            var (inputs, labels) = Sample(train, draw);
            var (logits, balance) = model.forward(inputs);
            var loss = F.cross_entropy(logits.reshape(-1, 256), labels.reshape(-1)) + Balance * balance;
            optimizer.zero_grad();
            loss.backward();
            if (clock.IsRunning) updating.Start();
            nn.utils.clip_grad_norm_(model.parameters(), 1);
            optimizer.step();
            updating.Stop();
            if (step == warmUp + steps) last = loss.item<float>();
        }
        var seconds = clock.Elapsed.TotalSeconds;
        Console.WriteLine(JsonSerializer.Serialize(new
        {
            torch = __version__,
            steps,
            bytes_per_second = Math.Round(steps * (double)Batch * Length / seconds),
            optimizer_share = Math.Round(updating.Elapsed.TotalSeconds / seconds, 3),
            last_loss = last,
        }));
        return 0;
    }

    static (Tensor Inputs, Tensor Labels) Sample(byte[] text, Random draw)
    {
        long[] inputs = new long[Batch * Length], labels = new long[Batch * Length];
        for (var b = 0; b < Batch; b++)
        {
            var start = draw.Next(text.Length - Length - 1);
            for (var i = 0; i < Length; i++) (inputs[b * Length + i], labels[b * Length + i]) = (text[start + i], text[start + i + 1]);
        }
        return (tensor(inputs, [Batch, Length]), tensor(labels, [Batch, Length]));
    }

    sealed class Attention : nn.Module<Tensor, Tensor>
    {
        readonly Linear qkv = nn.Linear(Width, 3 * Width, hasBias: false), output = nn.Linear(Width, Width, hasBias: false);
        readonly Tensor cos, sin;

        public Attention() : base(nameof(Attention))
        {
            const int half = Width / Heads / 2;
            var angles = arange(Length, float32).unsqueeze(1) * pow(10000, -arange(half, float32) / half);
            (cos, sin) = (angles.cos(), angles.sin());
            RegisterComponents();
        }

        Tensor Rotated(Tensor t)
        {
            var halves = t.chunk(2, -1);
            return cat([halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin], -1);
        }

        public override Tensor forward(Tensor x)
        {
            var batch = x.shape[0];
            var parts = qkv.forward(x).view(batch, Length, 3, Heads, -1).permute(2, 0, 3, 1, 4);
            var y = F.scaled_dot_product_attention(Rotated(parts[0]), Rotated(parts[1]), parts[2], is_casual: true);
            return output.forward(y.transpose(1, 2).reshape(batch, Length, Width));
        }
    }

    sealed class Switch : nn.Module<Tensor, (Tensor Y, Tensor Loss)>
    {
        readonly Linear router = nn.Linear(Width, Experts, hasBias: false);
        readonly Parameter wi = nn.Parameter(randn(Experts, Width, 4 * Width) * (0.58 * Math.Pow(Width, -0.5)));
        readonly Parameter wo = nn.Parameter(randn(Experts, 4 * Width, Width) * (0.58 * Math.Pow(4 * Width, -0.5)));

        public Switch() : base(nameof(Switch))
        {
            nn.init.normal_(router.weight, std: 0.1 * Math.Pow(Width, -0.5));
            RegisterComponents();
        }

        public override (Tensor Y, Tensor Loss) forward(Tensor input)
        {
            var x = input.reshape(-1, Width);
            var tokens = x.shape[0];
            var capacity = Math.Min(tokens, (long)(tokens * Capacity / Experts) + 1);
            var p = router.forward(x).softmax(-1);
            var (gate, expert) = p.max(-1);
            var chosen = F.one_hot(expert, Experts);
            var loss = Experts * (chosen.to(float32).mean([0]) * p.mean([0])).sum();
            var rank = (chosen.cumsum(0) * chosen).sum(-1) - 1;
            var slot = where(rank < capacity, expert * capacity + rank, full_like(rank, Experts * capacity));
            var inputs = zeros(Experts * capacity + 1, Width).index_copy(0, slot, x)[..^1].view(Experts, capacity, Width);
            var y = bmm(F.gelu(bmm(inputs, wi)), wo).view(Experts * capacity, Width);
            return ((cat([y, zeros(1, Width)], 0)[slot] * gate.unsqueeze(1)).view(input.shape), loss);
        }
    }

    sealed class Block : nn.Module<Tensor, (Tensor X, Tensor Loss)>
    {
        readonly LayerNorm first = nn.LayerNorm(Width), second = nn.LayerNorm(Width);
        readonly Attention attention = new();
        readonly Switch experts = new();

        public Block() : base(nameof(Block)) => RegisterComponents();

        public override (Tensor X, Tensor Loss) forward(Tensor input)
        {
            var x = input + attention.forward(first.forward(input));
            var (y, loss) = experts.forward(second.forward(x));
            return (x + y, loss);
        }
    }

    sealed class LanguageModel : nn.Module<Tensor, (Tensor Logits, Tensor Loss)>
    {
        readonly Embedding embed = nn.Embedding(256, Width);
        readonly ModuleList<Block> blocks = nn.ModuleList(Enumerable.Range(0, Layers).Select(_ => new Block()).ToArray());
        readonly LayerNorm norm = nn.LayerNorm(Width);

        public LanguageModel() : base(nameof(LanguageModel))
        {
            nn.init.normal_(embed.weight!, std: 0.08);
            RegisterComponents();
        }

        public override (Tensor Logits, Tensor Loss) forward(Tensor ids)
        {
            var (x, losses) = (embed.forward(ids), zeros(1).squeeze());
            foreach (var block in blocks)
            {
                (x, var loss) = block.forward(x);
                losses = losses + loss;
            }
            return (F.linear(norm.forward(x), embed.weight!), losses);
        }
    }
}
