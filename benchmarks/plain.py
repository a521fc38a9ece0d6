"""The study's models and steps as a careful PyTorch user writes them: the references that speed is measured against.

Every function returns one that trains an epoch. Images (N, S, S, C) uint8 and labels (N,) lie in memory as tensors;
networks are in channels-last memory; Adam is Torch's fused one.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

BATCH = 64
SLOPE = 0.2
WIDTHS = (32, 64, 128, 256, 512)
Data = tuple[np.ndarray, np.ndarray]
Epoch = Callable[[], None]


def classifier_network(channels: int = 1) -> nn.Module:
    """Fig. 9 for two classes."""

    def block(into: int, out: int, padding: int = 0) -> list[nn.Module]:
        return [nn.Conv2d(into, out, 3, padding=padding), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]

    dense = [nn.Linear(1024, 128), nn.ReLU(inplace=True), nn.Linear(128, 128), nn.ReLU(inplace=True)]
    last = [*block(16, 64), *block(64, 64), *block(64, 64, 1), nn.MaxPool2d(2), nn.Flatten()]
    return nn.Sequential(*block(channels, 16), *block(16, 16), nn.MaxPool2d(2), *last, *dense, nn.Linear(128, 2))


class Residual(nn.Module):
    """A basic block of ResNet-18."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(into, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.norm2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        changes = [nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out)] if into != out else []
        self.shortcut = nn.Sequential(*changes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y))
        y += self.shortcut(x)
        return F.relu(y, inplace=True)


def resnet18() -> nn.Module:
    """With the small stem, for color images and two classes."""
    steps: list[nn.Module] = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    for into, out, stride in ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)):
        steps += [Residual(into, out, stride), Residual(out, out, 1)]
    return nn.Sequential(*steps, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 2))


class InvertedResidual(nn.Module):
    """A block of EfficientNet-B0; `drop` is the probability that a training image passes it by."""

    def __init__(self, into: int, out: int, side: int, stride: int, expansion: int, drop: float) -> None:
        super().__init__()
        wide = into * expansion
        steps = [*_swished(into, wide, 1, 1, 1)] if expansion > 1 else []
        self.wide = nn.Sequential(*steps, *_swished(wide, wide, side, stride, wide))
        self.squeeze, self.excite = nn.Conv2d(wide, into // 4, 1), nn.Conv2d(into // 4, wide, 1)
        self.narrow = nn.Sequential(nn.Conv2d(wide, out, 1, bias=False), _norm(out))
        self.drop, self.joins = drop, stride == 1 and into == out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.wide(x)
        y = self.narrow(y * torch.sigmoid(self.excite(F.silu(self.squeeze(y.mean((2, 3), keepdim=True)), True))))
        if not self.joins:
            return y
        if self.training and self.drop:
            y = y * (torch.rand(len(y), 1, 1, 1, device=y.device) >= self.drop) / (1 - self.drop)
        return x + y


def _swished(into: int, out: int, side: int, stride: int, groups: int) -> list[nn.Module]:
    """Convolution, batch norm, swish; with a stride, zeros at the bottom and the right, as Keras pads even images."""
    pad = [nn.ZeroPad2d((side // 2 - 1, side // 2) * 2)] if stride > 1 else []
    conv = nn.Conv2d(into, out, side, stride, 0 if pad else side // 2, groups=groups, bias=False)
    return [*pad, conv, _norm(out), nn.SiLU(inplace=True)]


def _norm(width: int) -> nn.Module:
    return nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)


def efficientnet_b0() -> nn.Module:
    """Tan & Le 2019, for color images and two classes."""
    steps, into, number = [*_swished(3, 32, 3, 2, 1)], 32, 0
    stages = [(1, 16, 3, 1, 1), (2, 24, 3, 2, 6), (2, 40, 5, 2, 6), (3, 80, 3, 2, 6)]
    for count, out, side, stride, expansion in [*stages, (3, 112, 5, 1, 6), (4, 192, 5, 2, 6), (1, 320, 3, 1, 6)]:
        for place in range(count):
            steps.append(InvertedResidual(into, out, side, 1 if place else stride, expansion, 0.2 * number / 16))
            into, number = out, number + 1
    return nn.Sequential(
        *steps, *_swished(320, 1280, 1, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 2)
    )


def classifier(
    data: Data, device: str = "cpu", *, network: nn.Module | None = None, validation: Data | None = None
) -> Epoch:
    """SGD with momentum on cross-entropy; of Fig. 9 where no network is given. With validation images, their loss and
    accuracy after the epoch."""
    network = (network or classifier_network()).to(device, memory_format=torch.channels_last)
    descent = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9)

    def seen(images: torch.Tensor) -> torch.Tensor:
        return images.permute(0, 3, 1, 2).float().div_(255).sub_(0.5).div_(0.5)

    def epoch() -> None:
        for images, labels in _batches(data, device):
            _step(descent, F.cross_entropy(network(seen(images)), labels))
        if validation is not None:
            network.eval()
            with torch.no_grad():
                for images, labels in _batches(validation, device):
                    logits = network(seen(images))
                    F.cross_entropy(logits, labels).item()
                    (logits.argmax(1) == labels).sum().item()
            network.train()

    return epoch


def _batches(data: Data, device: str) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    images, labels = (torch.from_numpy(array).to(device) for array in data)
    for chosen in torch.randperm(len(labels), device=device).split(BATCH):
        yield images[chosen], labels[chosen]


def _step(descent: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    descent.zero_grad()
    loss.backward()
    descent.step()


# --- the VAEs --------------------------------------------------------------------------------------


def _encoder(channels: int) -> nn.Module:
    steps: list[nn.Module] = []
    for out in WIDTHS:
        steps += [nn.Conv2d(channels, out, 3, 2, 1), nn.BatchNorm2d(out), nn.LeakyReLU(inplace=True)]
        channels = out
    return nn.Sequential(*steps, nn.Flatten())


def _decoder(latent: int) -> nn.Module:
    steps: list[nn.Module] = [nn.Linear(latent, 2048), nn.Unflatten(1, (512, 2, 2))]
    channels = 512
    for out in WIDTHS[-2::-1]:
        steps += [nn.ConvTranspose2d(channels, out, 3, 2, 1, 1), nn.BatchNorm2d(out), nn.LeakyReLU(inplace=True)]
        channels = out
    for layer in (nn.ConvTranspose2d(32, 32, 3, 2, 2), nn.Conv2d(32, 32, 3, 2)):
        steps += [layer, nn.BatchNorm2d(32), nn.LeakyReLU(inplace=True)]
    return nn.Sequential(*steps, nn.Conv2d(32, 1, 3), nn.Tanh())


class ConditionalVae(nn.Module):
    """Figs. 19 and 20 for grey images and two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.label, self.image = nn.Linear(2, 784), nn.Conv2d(1, 1, 1)
        self.encoder, self.decoder = _encoder(2), _decoder(152)
        self.mean, self.log_variance = nn.Linear(512, 150), nn.Linear(512, 150)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss of a batch."""
        one_hot = F.one_hot(labels, 2).float()
        both = torch.cat([self.image(x), self.label(one_hot).view(-1, 1, 28, 28)], 1)
        hidden = self.encoder(both)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        z = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        rebuilt = self.decoder(torch.cat([z, one_hot], 1))
        return (rebuilt - x).square().sum() + 0.005 * _kl(mean, log_variance)


class JointVae(nn.Module):
    """Figs. 22 and 23 for grey images."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = _encoder(1), _decoder(150)
        self.heads = nn.ModuleList([nn.Linear(512, width) for width in (100, 100, 50)])
        self.step = 0

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss of a batch; the labels are not used."""
        self.step += 1
        hidden = self.encoder(x)
        mean, log_variance, logits = (head(hidden) for head in self.heads)
        gumbel = -(-(torch.rand_like(logits) + 1e-7).log() + 1e-7).log()
        z = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        rebuilt = self.decoder(torch.cat([z, torch.softmax((logits + gumbel) / 0.5, 1)], 1))
        share = torch.softmax(logits, 1)
        categorical = (share * ((share + 1e-7).log() - np.log(1 / 50 + 1e-7))).sum(1).mean()
        asked = 25 * min(self.step / 25000, 1)
        bounds = (asked - _kl(mean, log_variance)).abs() + (min(asked, np.log(50)) - categorical).abs()
        return 30 * (rebuilt - x).square().sum() + 0.005 * 30 * bounds


def _kl(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    return (-0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1)).mean()


def vae(network: nn.Module, data: Data, device: str = "cpu") -> Epoch:
    """Adam on a network whose output is its loss."""
    network = network.to(device, memory_format=torch.channels_last)
    descent = torch.optim.Adam(network.parameters(), 0.001, fused=True)

    def epoch() -> None:
        for images, labels in _batches(data, device):
            _step(descent, network(images.permute(0, 3, 1, 2).float() / 127.5 - 1, labels))

    return epoch


# --- the GAN ---------------------------------------------------------------------------------------


def _spectral(layer: nn.Module) -> nn.Module:
    return nn.utils.parametrizations.spectral_norm(layer)


class Generator(nn.Module):
    """Fig. 26 for grey images and two classes."""

    def __init__(self) -> None:
        super().__init__()
        shapes = [(128, 256, 1, 0), (256, 128, 2, 1), (128, 64, 2, 1), (64, 1, 2, 1)]
        self.layers = nn.ModuleList([_spectral(nn.ConvTranspose2d(i, o, 4, s, p)) for i, o, s, p in shapes])
        self.norms = nn.ModuleList([nn.BatchNorm2d(width, affine=False) for width in (256, 128, 64)])
        self.gammas = nn.ModuleList([nn.Embedding(2, width) for width in (256, 128, 64)])
        self.betas = nn.ModuleList([nn.Embedding(2, width) for width in (256, 128, 64)])

    def forward(self, noise: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        x = noise[:, :, None, None]
        for layer, norm, gamma, beta in zip(self.layers, self.norms, self.gammas, self.betas, strict=False):
            scaled = gamma(labels)[:, :, None, None] * norm(layer(x)) + beta(labels)[:, :, None, None]
            x = F.leaky_relu(scaled, SLOPE, inplace=True)
        return torch.tanh(self.layers[3](x))


class Discriminator(nn.Module):
    """Fig. 25 for grey images and two classes."""

    def __init__(self) -> None:
        super().__init__()
        shapes = [(1, 32, 3, 1), (32, 64, 4, 2), (64, 128, 4, 2), (128, 256, 4, 2)]
        self.layers = nn.ModuleList([_spectral(nn.Conv2d(i, o, k, s, 1)) for i, o, k, s in shapes])
        self.query, self.key, self.value = (nn.Conv2d(64, width, 1, bias=False) for width in (8, 8, 64))
        self.gamma = nn.Parameter(torch.zeros(1))
        self.score, self.projection = _spectral(nn.Linear(4096, 1)), _spectral(nn.Embedding(2, 4096))

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        for number, layer in enumerate(self.layers):
            x = F.leaky_relu(layer(x), SLOPE, inplace=True)
            if number == 1:
                query, key, value = (part(x).flatten(2) for part in (self.query, self.key, self.value))
                weights = torch.softmax(query.transpose(1, 2) @ key, -1)
                x = x + self.gamma * (value @ weights.transpose(1, 2)).view_as(x)
        features = x.flatten(1)
        return self.score(features) + (self.projection(labels) * features).sum(1, keepdim=True)


def gan(data: Data, device: str = "cpu") -> Epoch:
    """A step of the discriminator and one of the generator on every batch; relativistic average loss."""
    both = (network.to(device, memory_format=torch.channels_last) for network in (Generator(), Discriminator()))
    generator, discriminator = both
    descents = [
        torch.optim.Adam(network.parameters(), 0.0001, (0.5, 0.999), fused=True)
        for network in (generator, discriminator)
    ]

    def fakes(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        wanted = torch.randint(2, (count,), device=device)
        return generator(torch.randn(count, 128, device=device), wanted), wanted

    def loss(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return (F.softplus(second.mean() - first).mean() + F.softplus(second - first.mean()).mean()) / 2

    def epoch() -> None:
        for images, labels in _batches(data, device):
            real = images.permute(0, 3, 1, 2).float() / 127.5 - 1
            real = F.interpolate(real, (32, 32), mode="bilinear", align_corners=False)
            with torch.no_grad():
                fake, wanted = fakes(len(labels))
            _step(descents[1], loss(discriminator(real, labels), discriminator(fake, wanted)))
            fake, wanted = fakes(len(labels))
            with torch.no_grad():
                real_logit = discriminator(real, labels)
            discriminator.requires_grad_(False)
            _step(descents[0], loss(discriminator(fake, wanted), real_logit))
            discriminator.requires_grad_(True)

    return epoch


# --- flow matching ---------------------------------------------------------------------------------


class FlowBlock(nn.Module):
    """A block of the U-Net of `flow`."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(8, into), nn.Conv2d(into, out, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(8, out), nn.Conv2d(out, out, 3, padding=1)
        self.scale, self.shift, self.drop = nn.Linear(192, out), nn.Linear(192, out), nn.Dropout(0.1)
        self.shortcut = nn.Conv2d(into, out, 1) if into != out else nn.Identity()

    def forward(self, x: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
        y = self.norm2(self.conv1(F.silu(self.norm1(x))))
        y = y * (1 + self.scale(embedded))[..., None, None] + self.shift(embedded)[..., None, None]
        return self.shortcut(x) + self.conv2(self.drop(F.silu(y)))


class FlowNetwork(nn.Module):
    """The U-Net of `flow` for gray images of 28 x 28 and two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.classes = nn.Conv2d(1, 48, 6, 2, 2), nn.Embedding(3, 192)
        self.time = nn.Sequential(nn.Linear(64, 192), nn.SiLU(), nn.Linear(192, 192))
        shapes = [(48, 48), (96, 96), (96, 96), (96, 96), (192, 96), (96, 48)]
        self.blocks = nn.ModuleList([FlowBlock(into, out) for into, out in shapes])
        self.halved, self.doubled = nn.Conv2d(48, 96, 3, 2, 1), nn.Conv2d(96, 48, 3, padding=1)
        self.norm, self.attention = nn.GroupNorm(8, 96), nn.MultiheadAttention(96, 3, batch_first=True)
        self.last_norm, self.last = nn.GroupNorm(8, 48), nn.ConvTranspose2d(48, 1, 6, 2, 2)

    def forward(self, x: torch.Tensor, time: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        angles = time[:, None] * 1000 * 10_000 ** -(torch.arange(32, device=x.device) / 32)
        embedded = F.silu(self.time(torch.cat([angles.sin(), angles.cos()], 1)) + self.classes(labels))
        first = self.blocks[0](self.patches(x), embedded)
        second = self.blocks[1](self.halved(first), embedded)
        x = self.blocks[2](second, embedded)
        places = self.norm(x).flatten(2).transpose(1, 2)
        x = x + self.attention(places, places, places, need_weights=False)[0].transpose(1, 2).view_as(x)
        x = self.blocks[4](torch.cat([self.blocks[3](x, embedded), second], 1), embedded)
        x = self.blocks[5](torch.cat([self.doubled(F.interpolate(x, scale_factor=2.0)), first], 1), embedded)
        return self.last(F.silu(self.last_norm(x)))


def flow(data: Data, device: str = "cpu") -> Epoch:
    """Adam on the velocities, with dropped classes, clipped gradients and a moving average of the weights."""
    network = FlowNetwork().to(device, memory_format=torch.channels_last)
    averaged = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.999)
    )
    descent = torch.optim.Adam(network.parameters(), 2e-4, fused=True)

    def epoch() -> None:
        for images, labels in _batches(data, device):
            real = images.permute(0, 3, 1, 2).float() / 127.5 - 1
            noise, time = torch.randn_like(real), torch.rand(len(real), device=device)
            known = torch.where(torch.rand(len(labels), device=device) < 0.1, 2, labels)
            found = network(torch.lerp(noise, real, time[:, None, None, None]), time, known)
            descent.zero_grad()
            (found - (real - noise)).square().mean().backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            descent.step()
            averaged.update_parameters(network)

    return epoch
